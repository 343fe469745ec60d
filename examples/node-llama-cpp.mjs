/** The smaller adapter in node-llama-cpp: BASE SMALL PROMPT [TOKENS]. Prints what the model writes. */
import { getLlama, LlamaCompletion } from "node-llama-cpp";

const [modelPath, small, prompt, tokens = "32"] = process.argv.slice(2);
const llama = await getLlama({ gpu: false, build: "never", maxThreads: 1, logLevel: "error" });
const model = await llama.loadModel({ modelPath, gpuLayers: 0 });
const context = await model.createContext({ contextSize: 512, threads: 1, ...(small !== "" && { lora: small }) });
const completion = new LlamaCompletion({ contextSequence: context.getSequence() });
console.log(await completion.generateCompletion(prompt, { maxTokens: Number(tokens), temperature: 0 }));
await llama.dispose();
