# A shim for tools that look for this file: the addon is built by cmake-js through native/build.mjs.
{
  "targets": [
    {
      "target_name": "lora_boundary",
      "type": "none",
      "actions": [
        {
          "action_name": "build",
          "inputs": ["native/CMakeLists.txt"],
          "outputs": ["native/build/llama-cpp.json"],
          "action": ["node", "native/build.mjs"]
        }
      ]
    }
  ]
}
