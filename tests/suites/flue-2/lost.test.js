// What Flue 2 publishes holds as well where every third answer is lost.

import { defineStoreContractTests } from "@flue/runtime/test-utils";
import { defineAttachmentStoreContractTests } from "@flue/runtime/test-utils/attachment-store";
import { defineConversationStreamStoreContractTests } from "@flue/runtime/test-utils/conversation-stream";
import { afterAll, expect } from "vitest";
import { losing } from "../fetches.js";
import { stores } from "./store.js";

const LABEL = "Threadkeep, of which every third answer is lost";
let lost = 0;
const lossy = () => ({ fetch: losing(() => (lost += 1)) });

defineStoreContractTests(LABEL, { create: async () => (await stores(lossy())).submissionStore });

defineConversationStreamStoreContractTests(LABEL, {
  create: async () => {
    const { conversationStreamStore, submissionStore } = await stores(lossy());
    return { stream: conversationStreamStore, submissionStore };
  },
});

defineAttachmentStoreContractTests(LABEL, { create: async () => (await stores(lossy())).attachmentStore });

afterAll(() => {
  expect(lost).toBeGreaterThan(60);
});
