import { runSuite } from "./conformance/run-suite.js";

runSuite("process, each service in another app", "process", {}, true);
