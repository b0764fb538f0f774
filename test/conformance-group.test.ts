import { runSuite } from "./conformance/run-suite.js";

// All services share one process, except the service that is killed.
runSuite("group", "process", { group: "all", services: { Faulty: { group: "none" } } });
