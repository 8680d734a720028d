/** For tests of runes: modules are made as for a browser, whose globals a test that needs them stands in for. */
export default { name: "client", viteEnvironment: "client", setup: () => ({ teardown() {} }) };
