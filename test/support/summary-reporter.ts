import type { Reporter, TestCase, TestModule, TestSuite } from "vitest/node";

/** Prints every skipped suite or test by name, so that what did not run is seen, then one line with the counts. */
export default class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const count = (state: string) => tests.filter((test) => test.result().state === state).length;
    const skipped = tests.filter((test) => test.result().state === "skipped");
    const failedModules = modules.filter((module) => module.errors().length > 0).length;
    for (const name of new Set(skipped.map(outermostSkipped))) console.log(`skipped: ${name}`);
    // A gate that matched nothing must not pass.
    if (tests.length === 0) process.exitCode = 1;
    console.log(`\n${count("passed")} passed, ${count("failed") + failedModules} failed, ${skipped.length} skipped`);
  }
}

/** The suite that was skipped as a whole, or the test itself: a suite's name says why. */
function outermostSkipped(test: TestCase): string {
  const suites: TestSuite[] = [];
  for (let parent = test.parent; parent.type === "suite"; parent = parent.parent) suites.unshift(parent);
  const whole = suites.find((suite) => [...suite.children.allTests()].every((it) => it.result().state === "skipped"));
  return `[${test.project.name}] ${whole?.fullName ?? test.fullName}`;
}
