import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { UsageError } from "../../src/errors.js";
import { formatLayerScales } from "../../src/lora/format-layer-scales.js";
import { parseLayerScales } from "../../src/lora/layer-grammar.js";
import { layerScalesByHand } from "../support/layer-scales-by-hand.js";

const LAYERS = 6;
const parse = (text: string, layers = LAYERS) => parseLayerScales(text, { layers });
const refusal = (text: string, layers = LAYERS): UsageError => {
  try {
    parse(text, layers);
  } catch (error) {
    if (error instanceof UsageError) return error;
    throw error;
  }
  throw new Error(`${text} was accepted`);
};

describe("what a text means, for 6 layers", () => {
  const cases: [text: string, id: string, layerScales: number[], input?: number, output?: number][] = [
    ["full", "full", [1, 1, 1, 1, 1, 1]],
    ["all", "full", [1, 1, 1, 1, 1, 1]],
    ["base", "base", [0, 0, 0, 0, 0, 0]],
    ["full*0.5", "scale:0.5", [0.5, 0.5, 0.5, 0.5, 0.5, 0.5]],
    ["scale:0.75", "scale:0.75", [0.75, 0.75, 0.75, 0.75, 0.75, 0.75]],
    ["scale:-.5e0", "scale:-0.5", [-0.5, -0.5, -0.5, -0.5, -0.5, -0.5]],
    ["scale:0", "base", [0, 0, 0, 0, 0, 0]],
    ["scale:-0", "base", [0, 0, 0, 0, 0, 0]],
    ["*=0.5", "scale:0.5", [0.5, 0.5, 0.5, 0.5, 0.5, 0.5]],
    ["upto:4", "upto:4", [1, 1, 1, 1, 0, 0]],
    ["upto:0", "base", [0, 0, 0, 0, 0, 0]],
    ["upto:6", "full", [1, 1, 1, 1, 1, 1]],
    ["upto:4*1.45", "upto:4*1.45", [1.45, 1.45, 1.45, 1.45, 0, 0]],
    ["from:2", "from:2", [0, 0, 1, 1, 1, 1]],
    ["from:0", "full", [1, 1, 1, 1, 1, 1]],
    ["window:2-4", "window:2-4", [0, 0, 1, 1, 1, 0]],
    ["window:3", "window:3", [0, 0, 0, 1, 0, 0]],
    ["window:0-2", "upto:3", [1, 1, 1, 0, 0, 0]],
    ["without:2,4", "without:2,4", [1, 1, 0, 1, 0, 1]],
    ["without:2,4*1.45", "without:2,4*1.45", [1.45, 1.45, 0, 1.45, 0, 1.45]],
    ["without:0-1,3,5", "2,4", [0, 0, 1, 0, 1, 0]],
    ["not 4-5", "upto:4", [1, 1, 1, 1, 0, 0]],
    ["not 2 , 3 * 2", "without:2-3*2", [2, 2, 0, 0, 2, 2]],
    ["0-1,3,5", "without:2,4", [1, 1, 0, 1, 0, 1]],
    [" 5 , 0 - 1 ", "without:2-4", [1, 1, 0, 0, 0, 1]],
    ["000002", "window:2", [0, 0, 1, 0, 0, 0]],
    ["0-3=1,4-5=0", "upto:4", [1, 1, 1, 1, 0, 0]],
    ["4-5=0.25,0-3=2", "0-3=2,4-5=0.25", [2, 2, 2, 2, 0.25, 0.25]],
    ["0-1=1.5,*=0.5", "0-1=1.5,2-5=0.5", [1.5, 1.5, 0.5, 0.5, 0.5, 0.5]],
    ["*=1,input=0", "0-5=1,input=0", [1, 1, 1, 1, 1, 1], 0, 1],
    ["0-3=1,*=0,output=1", "0-3=1,4-5=0,output=1", [1, 1, 1, 1, 0, 0], 1, 1],
    ["0-3=1,*=0,output=0", "upto:4", [1, 1, 1, 1, 0, 0], 1, 0],
  ];
  it.each(cases)("%j", (text, id, layerScales, inputScale = layerScales[0]!, outputScale = layerScales.at(-1)!) => {
    expect(parse(text)).toEqual({ id, layerScales, inputScale, outputScale });
  });

  const parts: [text: string, id: string, attention: number[], ffn: number[], input: number, output: number][] = [
    ["attention:0-3=0", "without:attention:0-3", [0, 0, 0, 0, 1, 1], [1, 1, 1, 1, 1, 1], 1, 1],
    ["ffn:*=0", "without:ffn:0-5", [1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 0], 1, 1],
    ["attention:0-5*2", "without:ffn:0-5*2", [2, 2, 2, 2, 2, 2], [0, 0, 0, 0, 0, 0], 2, 2],
    ["without:2,attention:3,ffn:5", "without:2,attention:3,ffn:5", [1, 1, 0, 0, 1, 1], [1, 1, 0, 1, 1, 0], 1, 1],
    ["ffn : 0 - 1", "ffn:0-1", [0, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0], 1, 0],
    ["attention:0=0.5,*=2", "attention:0=0.5,ffn:0=2,1-5=2", [0.5, 2, 2, 2, 2, 2], [2, 2, 2, 2, 2, 2], 0.5, 2],
    ["attention:*=3,*=2", "attention:0-5=3,ffn:0-5=2", [3, 3, 3, 3, 3, 3], [2, 2, 2, 2, 2, 2], 3, 2],
    [
      "attention:0-1=0,input=5",
      "attention:0-1=0,ffn:0-1=1,2-5=1,input=5",
      [0, 0, 1, 1, 1, 1],
      [1, 1, 1, 1, 1, 1],
      5,
      1,
    ],
  ];
  it.each(parts)("%j", (text, id, layerScales, feedForwardScales, inputScale, outputScale) => {
    expect(parse(text)).toEqual({ id, layerScales, feedForwardScales, inputScale, outputScale });
  });

  it("has no feed-forward vector where the parts agree", () => {
    expect(parse("attention:0-5=2,ffn:*=2")).toEqual(parse("scale:2"));
  });
});

describe("what it refuses, and where", () => {
  const cases: [text: string, code: string, position: number, message: string][] = [
    ["", "EMPTY", 1, "but received nothing at character 1 of ``."],
    ["   ", "EMPTY", 4, "but received nothing"],
    ["lower", "NAME", 1, "but received `lower`"],
    ["ALL", "NAME", 1, "but received `ALL`"],
    ["NaN", "NAME", 1, "but received `NaN`"],
    ["spread:1,2*1.3", "NAME", 1, "take it from that result (`--from result.json`)"],
    ["upto", "SYNTAX", 5, "Expected `:`"],
    ["upto:", "SYNTAX", 6, "Expected a layer"],
    ["upto:7", "RANGE", 6, "received `upto:7` (there are the layers 0 to 5)"],
    ["upto:-1", "SYNTAX", 6, "received `-1`"],
    ["from:6", "RANGE", 6, "received `from:6`"],
    ["window:4-2", "SYNTAX", 9, "a range that runs upwards but received 4-2"],
    ["window:2-4,5", "SYNTAX", 11, "received `,`"],
    ["window:ffn:2", "SYNTAX", 8, "received `ffn`"],
    ["without:", "SYNTAX", 9, "received nothing"],
    ["without:*", "SYNTAX", 9, "Expected a layer or a range of layers"],
    ["without:2,7", "RANGE", 11, "received `7`"],
    ["without:2,2", "OVERLAP", 11, "layer 2 is named before"],
    ["not", "SYNTAX", 4, "received nothing"],
    ["not4", "NAME", 1, "received `not4`"],
    ["scale:NaN", "NUMBER", 7, "Expected a finite number for `--scales` but received `NaN`"],
    ["scale:Infinity", "NUMBER", 7, "received `Infinity`"],
    ["scale:1e999", "NUMBER", 7, "received `1e999`"],
    ["scale:", "NUMBER", 7, "received nothing"],
    ["scale:1.2.3", "SYNTAX", 10, "received `.3`"],
    ["scale:1e300*1e300", "NUMBER", 12, "received 1e+300 times 1e+300"],
    ["full*", "NUMBER", 6, "received nothing"],
    ["full*inf", "NUMBER", 6, "received `inf`"],
    ["full**2", "NUMBER", 6, "received `*`"],
    ["full,0", "SYNTAX", 5, "received `,`"],
    ["0-2=1", "INCOMPLETE", 5, "layer 3 has none"],
    ["input=1", "INCOMPLETE", 7, "layer 0 has none"],
    ["0-2=1,2-5=0", "OVERLAP", 7, "layer 2 is named before"],
    ["*=1,*=0", "OVERLAP", 5, "is named before"],
    ["0-5=1,*=0", "OVERLAP", 7, "every layer that `*` stands for"],
    ["*=1,input=1,input=1", "OVERLAP", 13, "`input` is named before"],
    ["0-5=1,ffn:3=0", "OVERLAP", 7, "layer 3 is named before"],
    ["0-5=NaN", "NUMBER", 5, "received `NaN`"],
    ["0-5=1*2", "SYNTAX", 6, "received `*`"],
    ["0=1,1", "SYNTAX", 6, "Expected `=`"],
    ["0,1=1", "SYNTAX", 4, "received `=`"],
    ["0,*", "SYNTAX", 3, "received `*`"],
    ["*", "SYNTAX", 2, "Expected `=`"],
    ["0,", "SYNTAX", 3, "received nothing"],
    ["0,,2", "SYNTAX", 3, "received `,`"],
    ["0,x,2", "SYNTAX", 3, "received `x`"],
    ["-1", "SYNTAX", 1, "received `-1`"],
    ["1-", "SYNTAX", 3, "received nothing"],
    ["1-2-3", "SYNTAX", 4, "received `-3`"],
    ["1.5", "SYNTAX", 2, "received `.5`"],
    ["1 2", "SYNTAX", 3, "received `2`"],
    ["0;1", "SYNTAX", 2, "received `;1`"],
    ["99", "RANGE", 1, "received `99`"],
    ["99999999999999999999999", "RANGE", 1, "(there are the layers 0 to 5)"],
    ["\u0661", "SYNTAX", 1, "received `\u0661`"],
    ["attention:", "SYNTAX", 11, "received nothing"],
    ["attention", "SYNTAX", 10, "Expected `:`"],
    ["attention:upto:3", "SYNTAX", 11, "received `upto`"],
  ];
  it.each(cases)("%j", (text, code, position, message) => {
    const error = refusal(text);
    expect(error).toMatchObject({ code: `SCALES_${code}`, exitCode: 2, details: { option: "scales", text, position } });
    expect(error.message).toContain(message);
    expect(error.message).toContain(`at character ${position} of \`${text}\``);
  });
});

const strength = fc.oneof(
  fc.constantFrom(0, 0, 1, 1, 0.5, 1.45, -0, 2),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
);
const vectors = fc.integer({ min: 0, max: 40 }).chain((layers) =>
  fc.record({
    layerScales: fc.oneof(
      fc.array(strength, { minLength: layers, maxLength: layers }),
      runs(layers),
      sameStrength(layers),
    ),
    feedForwardScales: fc.option(
      fc.oneof(fc.array(strength, { minLength: layers, maxLength: layers }), sameStrength(layers)),
      {
        nil: undefined,
      },
    ),
    inputScale: strength,
    outputScale: strength,
  }),
);

/** Vectors of few runs, which have short names more often than what is random throughout. */
function runs(layers: number) {
  return fc.array(fc.tuple(strength, fc.integer({ min: 1, max: 12 })), { minLength: 1, maxLength: 6 }).map((parts) => {
    const scales = parts.flatMap(([scale, length]) => new Array<number>(length).fill(scale));
    return Array.from({ length: layers }, (_, layer) => scales[layer] ?? scales.at(-1)!);
  });
}

function sameStrength(layers: number) {
  return fc
    .tuple(strength, fc.array(fc.boolean(), { minLength: layers, maxLength: layers }))
    .map(([scale, kept]) => kept.map((isKept) => (isKept ? scale : 0)));
}

const positive = (scale: number) => scale + 0;

describe("10,000 random vectors", () => {
  it("come back from their text with the very same numbers, and the text from them", () => {
    fc.assert(
      fc.property(vectors, ({ layerScales, feedForwardScales, inputScale, outputScale }) => {
        const scales = { layerScales, inputScale, outputScale, ...(feedForwardScales && { feedForwardScales }) };
        const text = formatLayerScales(scales);
        const back = parse(text, layerScales.length);
        expect(back.id).toBe(text);
        expect(back.layerScales).toEqual(layerScales.map(positive));
        expect(back.feedForwardScales ?? back.layerScales).toEqual((feedForwardScales ?? layerScales).map(positive));
        expect([back.inputScale, back.outputScale]).toEqual([inputScale, outputScale].map(positive));
      }),
      { numRuns: 10_000, seed: 1 },
    );
  });

  it("refuses what is no vector of strengths", () => {
    const all = { layerScales: [1, 1], inputScale: 1, outputScale: 1 };
    expect(() => formatLayerScales({ ...all, layerScales: [1, NaN] })).toThrow(/finite strengths but received NaN/);
    expect(() => formatLayerScales({ ...all, outputScale: -Infinity })).toThrow(/received -Infinity/);
    expect(() => formatLayerScales({ ...all, feedForwardScales: [1] })).toThrow(/layerScales` \(2\) but received 1/);
  });
});

describe("10,000 random strings", () => {
  const piece = fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: 0, max: 7 }).map(String) },
    { weight: 8, arbitrary: fc.constantFrom(",", ",", "-", "-", "=", "=", "*", ":", " ", ".", "+", "e") },
    {
      weight: 4,
      arbitrary: fc.constantFrom(
        ...["upto:", "from:", "window:", "without:", "not ", "scale:", "attention:", "ffn:", "input=", "output="],
        ...["full", "all", "base", "NaN", "inf", "0.5", "1e3", "*=", "0-5=", "0-2", "3-5", "mine"],
      ),
    },
  );
  // Sound texts with one change: what is almost right is where a parser errs.
  const sound = fc.constantFrom(
    ...[
      "0-3=1,4-5=0",
      "without:2,4*1.45",
      "attention:0-3=0",
      "upto:4*2",
      "not 4-5",
      "window:2-4",
      "0-1,3,5",
      "scale:0.75",
    ],
    ...[
      "0-1=1.5,*=0.5",
      "full*0.5",
      "*=1,input=0",
      "ffn:*=0",
      "without:1,attention:3",
      "ffn:0-3=2,attention:*=1,ffn:*=0",
    ],
  );
  const changed = fc
    .tuple(sound, fc.nat(40), fc.nat(3), fc.array(piece, { maxLength: 2 }))
    .map(([text, at, cut, pieces]) => {
      const start = Math.min(at, text.length);
      return text.slice(0, start) + pieces.join("") + text.slice(start + cut);
    });
  const texts = fc.oneof(
    { weight: 5, arbitrary: fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join("")) },
    { weight: 5, arbitrary: changed },
    { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 12 }) },
  );

  it("mean what a slow reader by hand finds in them, or are refused at a position inside", () => {
    const seen = { accepted: 0, refused: 0 };
    fc.assert(
      fc.property(texts, (text) => {
        const byHand = layerScalesByHand(text, LAYERS);
        if (byHand === null) {
          seen.refused++;
          const { code, details } = refusal(text);
          expect(code).toMatch(/^SCALES_[A-Z]+$/);
          expect(details["position"]).toBeGreaterThanOrEqual(1);
          expect(details["position"]).toBeLessThanOrEqual(text.length + 1);
          return;
        }
        seen.accepted++;
        const { layerScales, feedForwardScales = layerScales, inputScale, outputScale } = parse(text);
        expect({ attention: layerScales, ffn: feedForwardScales, inputScale, outputScale }).toEqual(byHand);
      }),
      { numRuns: 10_000, seed: 2 },
    );
    // Neither side may be a handful, or the property says nothing.
    expect(seen.accepted).toBeGreaterThan(1500);
    expect(seen.refused).toBeGreaterThan(1500);
  });
});
