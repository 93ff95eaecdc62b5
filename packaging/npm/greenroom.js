#!/usr/bin/env node
// Starts the `greenroom` of the package for this machine, which npm has installed beside this one.
"use strict";

const { spawn } = require("node:child_process");
const { accessSync, constants, existsSync } = require("node:fs");
const { constants: { signals } } = require("node:os");

const LOADERS = { x64: "/lib64/ld-linux-x86-64.so.2", arm64: "/lib/ld-linux-aarch64.so.1" };

/** The path of the binary. */
function find() {
  const { platform, arch } = process;
  const name = `greenroom-${platform}-${arch}`;
  const program = platform === "win32" ? "greenroom.exe" : "greenroom";
  // Both may be there: some package managers do not know `libc`. Only the first loads plugins, where glibc is.
  const isGlibc = platform === "linux" && existsSync(LOADERS[arch] ?? "");
  const packages = isGlibc || platform !== "linux" ? [name, `${name}-musl`] : [`${name}-musl`];
  for (const each of packages) {
    try {
      return require.resolve(`${each}/bin/${program}`);
    } catch {
      // It is not installed.
    }
  }
  throw new Error(
    `there is no package \`${packages.join("` or `")}\` beside \`greenroom\`. npm leaves it out with ` +
      "`--omit=optional`, and where Greenroom is not built for the machine; then build it from its source.",
  );
}

/** Replaces this process where node can, so that no node stays; returns where it cannot. */
function replace(binary, parameters) {
  if (process.platform === "win32" || typeof process.execve !== "function") return;
  // Some versions of node abort when it fails.
  accessSync(binary, constants.X_OK);
  process.execve(binary, [binary, ...parameters], process.env);
}

/** Runs the binary as a child, and ends as it ends. */
function run(binary, parameters) {
  const child = spawn(binary, parameters, { stdio: "inherit" });
  // The terminal sends its signals to both; the child decides. The others are sent to this process alone.
  for (const signal of ["SIGINT", "SIGQUIT"]) process.on(signal, () => {});
  for (const signal of ["SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"]) {
    if (signal in signals) process.on(signal, () => child.kill(signal));
  }
  child.on("error", (error) => fail(error));
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

function fail(error) {
  console.error(`greenroom: ${error.message}`);
  process.exit(1);
}

try {
  const binary = find();
  const parameters = process.argv.slice(2);
  replace(binary, parameters);
  run(binary, parameters);
} catch (error) {
  fail(error);
}
