/** Finds how many layers of an adapter are worth keeping, and writes them: BASE ADAPTER SAMPLES SMALL. */
import { calibrate, loadModel, readSamples, writeVerified } from "lora-boundary";

const [base, source, data, small] = process.argv.slice(2);
const model = await loadModel(base);
try {
  const adapter = await model.loadAdapter(source);
  const samples = await readSamples(data, model);
  const { selected } = await calibrate(adapter, samples, { margin: 0.1, threads: 1 });
  if (selected === null) {
    console.log("No cut is proven.");
  } else {
    const { bytes } = await writeVerified(adapter, samples, selected.candidate, small, { threads: 1 });
    console.log(`${selected.candidate.id}, ${selected.verdict}, ${bytes} bytes`);
  }
} finally {
  await model.dispose();
}
