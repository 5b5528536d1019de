// What Flue 2 publishes, each test as a user of its own.

import { defineStoreContractTests } from "@flue/runtime/test-utils";
import { defineAttachmentStoreContractTests } from "@flue/runtime/test-utils/attachment-store";
import { defineConversationStreamStoreContractTests } from "@flue/runtime/test-utils/conversation-stream";
import { stores } from "./store.js";

defineStoreContractTests("Threadkeep", { create: async () => (await stores()).submissionStore });

defineConversationStreamStoreContractTests("Threadkeep", {
  create: async () => {
    const { conversationStreamStore, submissionStore } = await stores();
    return { stream: conversationStreamStore, submissionStore };
  },
});

defineAttachmentStoreContractTests("Threadkeep", { create: async () => (await stores()).attachmentStore });
