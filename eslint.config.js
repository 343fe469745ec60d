import tseslint from "typescript-eslint";

/** One direction, cli -> core -> native: each folder lists what it must not import. */
const forbid = (files, patterns, message) => ({
  files,
  rules: { "no-restricted-imports": ["error", { patterns: [{ group: patterns, message }] }] },
});

export default tseslint.config(
  { ignores: ["dist", "native/build", "node_modules", "models"] },
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true, allowBoolean: true }],
      "@typescript-eslint/switch-exhaustiveness-check": "error",
      "no-console": "error",
    },
  },
  { files: ["**/*.{js,mjs,cjs}"], ...tseslint.configs.disableTypeChecked },
  { files: ["bench/**", "examples/**", "native/*.mjs", "test/**"], rules: { "no-console": "off" } },
  {
    files: ["test/**"],
    rules: { "@typescript-eslint/no-non-null-assertion": "off" },
  },
  forbid(
    [
      "src/*.ts",
      "src/{native,engine,gguf,lora,peft,hub,data,search,lens,metrics,evaluation,generation,analysis,results,recipe}/**",
    ],
    ["**/cli/**", "**/report/**"],
    "Core knows neither the command line nor the report.",
  ),
  forbid(
    ["src/{gguf,lora,peft,hub,data}/**"],
    ["**/cli/**", "**/report/**", "**/engine/**", "**/native/**", "**/search/**"],
    "Files and data need no addon.",
  ),
  forbid(
    ["src/search/**"],
    ["**/cli/**", "**/report/**", "**/engine/**", "**/native/**", "**/data/**", "**/gguf/**"],
    "Search is pure: it asks a scorer function.",
  ),
  forbid(
    ["src/metrics/**"],
    ["**/cli/**", "**/report/**", "**/engine/**", "**/native/**", "**/data/**", "**/gguf/**", "**/search/**"],
    "Metrics are pure: they see texts and numbers.",
  ),
  forbid(["src/report/**"], ["**/cli/**", "**/engine/**", "**/native/**"], "A report renders one result object."),
  forbid(["src/cli/**"], ["**/native/**"], "Only engine/ calls the addon."),
);
