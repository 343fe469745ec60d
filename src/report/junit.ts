import type { VerificationResult } from "../recipe/verification.js";
import { checkLines } from "./verification.js";

/** A verification as JUnit XML, which CI systems show as tests. Pure; ends with a line break. */
export function junitXml(result: VerificationResult): string {
  const checks = checkLines(result);
  const failures = checks.filter(({ passed }) => !passed).length;
  const suite = `name="lora-boundary verify" tests="${checks.length}" failures="${failures}" timestamp="${escaped(result.createdAt)}"`;
  const cases = checks.map(({ id, passed, sentence }) => {
    const head = `    <testcase classname="${escaped(result.recipe.path)}" name="${escaped(id)}"`;
    if (passed) return `${head}><system-out>${escaped(sentence)}</system-out></testcase>`;
    return `${head}><failure message="${escaped(sentence)}"/></testcase>`;
  });
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites tests="${checks.length}" failures="${failures}">`,
    `  <testsuite ${suite}>`,
    ...cases,
    "  </testsuite>",
    "</testsuites>",
    "",
  ].join("\n");
}

// XML 1.0 has no way to write most control characters and lone surrogates.
const FORBIDDEN = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu;

function escaped(text: string): string {
  return text
    .replace(FORBIDDEN, "\ufffd")
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}
