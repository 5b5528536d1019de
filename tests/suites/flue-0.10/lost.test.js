// What Flue 0.10 publishes holds as well where every third answer is lost.

import { defineStoreContractTests } from "@flue/runtime/test-utils";
import { afterAll, expect } from "vitest";
import { losing } from "../fetches.js";
import { stores } from "./store.js";

let lost = 0;

defineStoreContractTests("Threadkeep, of which every third answer is lost", {
  create: () => stores({ fetch: losing(() => (lost += 1)) }),
});

afterAll(() => {
  expect(lost).toBeGreaterThan(20);
});
