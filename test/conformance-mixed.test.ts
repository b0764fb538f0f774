import { runSuite } from "./conformance/run-suite.js";

runSuite("process, with a service that lives in its callers", "process", {
  services: { Middle: { placement: "inline" } },
});
