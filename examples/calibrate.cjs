/**
 * The package is an ES module. CommonJS reaches it through `import()`, which every supported Node.js has; from 20.19 and
 * 22.12 on `require("lora-boundary")` works as well. Arguments: BASE ADAPTER SAMPLES SMALL.
 */
async function main([base, source, data, small]) {
  const { calibrate, loadModel, readSamples, writeVerified } = await import("lora-boundary");
  const model = await loadModel(base);
  try {
    const adapter = await model.loadAdapter(source);
    const samples = await readSamples(data, model);
    const { selected } = await calibrate(adapter, samples, { margin: 0.1, threads: 1 });
    if (selected === null) return console.log("No cut is proven.");
    const { bytes } = await writeVerified(adapter, samples, selected.candidate, small, { threads: 1 });
    console.log(`${selected.candidate.id}, ${selected.verdict}, ${bytes} bytes`);
  } finally {
    await model.dispose();
  }
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error.message);
  process.exitCode = error.exitCode ?? 70;
});
