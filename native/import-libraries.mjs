import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

/**
 * Windows: node-llama-cpp brings llama.cpp's DLLs without the import libraries that MSVC links against. They are made from
 * the DLLs' export tables: here a module definition file of each, and in CMakeLists.txt a library of that.
 */

const MACHINES = { 0x8664: "x64", 0xaa64: "arm64" };

/** @returns {string[]} module definition files (NAME.def) of these DLLs, made in `target` */
export function moduleDefinitions(dlls, target) {
  mkdirSync(target, { recursive: true });
  return dlls.map((path) => {
    const name = basename(path);
    const { names } = exportsOf(readFileSync(path), name);
    const definition = join(target, `${basename(name, ".dll")}.def`);
    writeFileSync(definition, `LIBRARY ${name}\nEXPORTS\n${names.map((symbol) => `  ${symbol}\n`).join("")}`);
    return definition;
  });
}

/**
 * Names that a DLL exports (PE format: DOS header, COFF header, optional header, sections).
 *
 * @returns {{ machine: string, names: string[] }}
 */
export function exportsOf(bytes, name) {
  const wrong = (what) => new Error(`${name} is no DLL that can be linked against: ${what}.`);
  if (bytes.length < 64 || bytes.readUInt16LE(0) !== 0x5a4d) throw wrong("it has no MZ header");
  const pe = bytes.readUInt32LE(60);
  if (pe + 24 > bytes.length || bytes.readUInt32LE(pe) !== 0x4550) throw wrong("it has no PE header");
  const machine = MACHINES[bytes.readUInt16LE(pe + 4)];
  if (machine === undefined) throw wrong("it is for another processor than x64 or arm64");
  const sections = bytes.readUInt16LE(pe + 6);
  const optional = pe + 24;
  if (bytes.readUInt16LE(optional) !== 0x20b) throw wrong("it is not 64 bits wide");
  const table = optional + bytes.readUInt16LE(pe + 20);
  /** Place in the file of an address in memory. */
  const placeOf = (address) => {
    for (let section = table; section < table + 40 * sections; section += 40) {
      const start = bytes.readUInt32LE(section + 12);
      const size = bytes.readUInt32LE(section + 16);
      if (address >= start && address < start + size) return address - start + bytes.readUInt32LE(section + 20);
    }
    throw wrong(`the address ${address} lies in no section`);
  };
  const directory = bytes.readUInt32LE(optional + 112);
  if (directory === 0) throw wrong("it exports nothing");
  const exported = placeOf(directory);
  const count = bytes.readUInt32LE(exported + 24);
  const list = placeOf(bytes.readUInt32LE(exported + 32));
  const names = Array.from({ length: count }, (_, index) => {
    const start = placeOf(bytes.readUInt32LE(list + 4 * index));
    return bytes.toString("latin1", start, bytes.indexOf(0, start));
  });
  return { machine, names };
}
