import { runSuite } from "./conformance/run-suite.js";

runSuite("thread", "thread");
