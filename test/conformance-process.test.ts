import { runSuite } from "./conformance/run-suite.js";

runSuite("process", "process");
