/**
 * A smaller adapter in a running llama-server: URL PROMPT [TOKENS]. The server was started with `--lora small.gguf`.
 * Its adapter endpoint sets the strength for all requests that follow. Prints one JSON object.
 *
 * llama-server does not batch requests of different strengths together: let the small adapter replace the full one, rather
 * than serving both side by side.
 */
const [url, prompt, tokens = "32"] = process.argv.slice(2);

async function ask(path, body) {
  const request = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  const response = await fetch(new URL(path, url), body === undefined ? {} : request);
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return response.json();
}

async function textAt(scale) {
  await ask("/lora-adapters", [{ id: 0, scale }]);
  const { content } = await ask("/completion", {
    prompt,
    n_predict: Number(tokens),
    temperature: 0,
    cache_prompt: false,
  });
  return content;
}

const adapters = await ask("/lora-adapters");
const off = await textAt(0);
const on = await textAt(1);
console.log(JSON.stringify({ adapters, off, on }));
