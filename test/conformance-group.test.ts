import { runSuite } from "./conformance/run-suite.js";

// All in one process but the service that is killed.
runSuite("group", "process", { group: "all", services: { Faulty: { group: "none" } } });
