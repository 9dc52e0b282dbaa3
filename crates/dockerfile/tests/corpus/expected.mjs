// Writes expected.json: what the parser `dockerfile-ast` of the npm registry reads in each Dockerfile here.
//
//     npm install dockerfile-ast@0.7.1 && node expected.mjs
import { DockerfileParser } from "dockerfile-ast";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";

const expected = {};
for (const name of readdirSync(".").filter((name) => name.endsWith(".Dockerfile")).sort()) {
  const file = DockerfileParser.parse(readFileSync(name, "utf8"));
  expected[name.replace(".Dockerfile", "")] = file.getInstructions().map((instruction) => ({
    line: instruction.getRange().start.line + 1,
    name: instruction.getKeyword(),
    words: instruction.getArguments().map((word) => word.getValue()),
    documents: (instruction.getHeredocs?.() ?? []).map((document) => document.getName()),
  }));
}
writeFileSync("expected.json", JSON.stringify(expected, null, 1) + "\n");
