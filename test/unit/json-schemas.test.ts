import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, it } from "vitest";
import { PUBLISHED, publishedSchema, violations } from "../support/json-schemas.js";

const SOURCES = fileURLToPath(new URL("../../src/", import.meta.url));

/** Every `lora-boundary/kind@1` that the sources name. */
function kindsInSources(): readonly string[] {
  const files = readdirSync(SOURCES, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"));
  const texts = files.map((name) => readFileSync(join(SOURCES, name), "utf8"));
  const kinds = texts.flatMap((text) => [...text.matchAll(/"lora-boundary\/([a-z]+@\d+)"/g)].map(([, kind]) => kind!));
  return [...new Set(kinds)].sort();
}

it("every kind of JSON that the program writes has a published schema, and no other is published", () => {
  expect(PUBLISHED.length).toBeGreaterThanOrEqual(13);
  expect(PUBLISHED).toEqual(kindsInSources());
});

describe.each(PUBLISHED)("%s", (kind) => {
  const schema = publishedSchema(kind) as Readonly<Record<string, unknown>>;

  it("is sound, says what it is of, and lets fields of later versions pass", () => {
    expect(() => new Ajv2020({ strict: true, allowUnionTypes: true }).compile(schema)).not.toThrow();
    expect(schema).toMatchObject({
      $id: `lora-boundary:${kind}`,
      title: expect.stringMatching(/lora-boundary [a-z]+/) as string,
      description: "Fields are only ever added; readers must let unknown ones pass.",
    });
    expect(JSON.stringify(schema)).not.toMatch(/"additionalProperties":false|"unevaluated/);
  });

  it("refuses an object without its fields", () => {
    expect(violations({ schema: `lora-boundary/${kind}` }).join()).toMatch(/must have required property/);
  });
});

describe("what violations finds", () => {
  const line = { set: "samples", batch: 0, strengths: "0123456789abcdef01234567", sums: [1.5] };
  it.each([
    ["nothing in a line of a journal", line, []],
    ["a field that is not described", { ...line, extra: 1 }, ["must NOT have additional properties extra"]],
    ["a number out of bounds", { ...line, batch: -1 }, ["/batch must be >= 0"]],
    ["a number that is null, as NaN is written", { ...line, sums: [null] }, ["/sums/0 must be number"]],
  ])("%s", (_, value, expected) => {
    const found = violations(value, "journal@1");
    expect(found).toEqual(expected.length === 0 ? [] : expect.arrayContaining(expected));
  });
  it("an unknown kind", () => {
    expect(violations({ schema: "lora-boundary/dream@1" })).toEqual(["no published schema for dream@1"]);
  });
});
