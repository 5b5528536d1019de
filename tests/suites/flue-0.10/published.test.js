// What Flue 0.10 publishes, each test as a user of its own.

import { defineStoreContractTests } from "@flue/runtime/test-utils";
import { stores } from "./store.js";

defineStoreContractTests("Threadkeep", { create: () => stores() });
