import { describe, expect, it } from "vitest";
import { terminalStyle, type StyleQuestion } from "../../src/cli/terminal-style.js";

const style = (environment: Record<string, string>, changes: Partial<StyleQuestion> = {}) =>
  terminalStyle({ width: 80, isTerminal: true, colorAsked: true, platform: "linux", ...changes, environment });
const pipe = { isTerminal: false } as const;
const windows = { platform: "win32" } as const;

describe("colour", () => {
  it.each([
    [true, {}, {}],
    [false, {}, pipe],
    [false, { TERM: "dumb" }, {}],
    [false, { NO_COLOR: "1" }, {}],
    [true, { NO_COLOR: "" }, {}],
    [true, { FORCE_COLOR: "1" }, pipe],
    [true, { FORCE_COLOR: "1", TERM: "dumb" }, {}],
    [false, { FORCE_COLOR: "0" }, {}],
    [false, { FORCE_COLOR: "false" }, {}],
    [false, { FORCE_COLOR: "1", NO_COLOR: "1" }, {}],
    [false, { FORCE_COLOR: "1" }, { colorAsked: false }],
  ])("%s with %j, %j", (color, environment, changes) => {
    expect(style(environment, changes).color).toBe(color);
  });
});

describe("characters beyond ASCII", () => {
  it.each([
    [true, { LANG: "en_US.UTF-8" }, {}],
    [true, { LANG: "C.utf8" }, pipe],
    [false, { LANG: "C" }, {}],
    [false, {}, {}],
    [false, { LANG: "en_US.UTF-8", LC_ALL: "C" }, {}],
    [true, { LANG: "en_US.UTF-8", LC_ALL: "" }, {}],
    [true, { LANG: "C", LC_CTYPE: "de_DE.UTF-8" }, {}],
    [false, { LANG: "en_US.UTF-8", TERM: "linux" }, {}],
    [true, { LANG: "en_US.UTF-8", TERM: "linux" }, pipe],
    [true, {}, { platform: "darwin" }],
    [false, {}, windows],
    [true, { WT_SESSION: "1" }, windows],
    [true, { TERM_PROGRAM: "vscode" }, windows],
    [false, { WT_SESSION: "1" }, { ...windows, ...pipe }],
  ] as const)("%s with %j, %j", (unicode, environment, changes) => {
    expect(style(environment, changes).unicode).toBe(unicode);
  });
});

it("quotes for the shell that is there", () => {
  expect(style({}).shell).toBe("posix");
  expect(style({}, windows).shell).toBe("windows");
  expect(style({ MSYSTEM: "MINGW64" }, windows).shell).toBe("posix");
});
