// What Flue 0.10 publishes, each test as a user of its own.

import { randomUUID } from "node:crypto";
import { defineStoreContractTests } from "@flue/runtime/test-utils";
import { threadkeep } from "threadkeep/flue-0.10";

defineStoreContractTests("Threadkeep", {
  create: () => threadkeep({ user: `flue-0.10-${randomUUID()}` }).connect(),
});
