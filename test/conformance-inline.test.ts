import { runSuite } from "./conformance/run-suite.js";

runSuite("inline", "inline");
