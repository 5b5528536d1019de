// What Flue 2 publishes, each test as a user of its own.

import { randomUUID } from "node:crypto";
import { defineStoreContractTests } from "@flue/runtime/test-utils";
import { defineAttachmentStoreContractTests } from "@flue/runtime/test-utils/attachment-store";
import { defineConversationStreamStoreContractTests } from "@flue/runtime/test-utils/conversation-stream";
import { threadkeep } from "threadkeep/flue";

const stores = () => threadkeep({ user: `flue-2-${randomUUID()}` }).connect();

defineStoreContractTests("Threadkeep", { create: async () => (await stores()).submissionStore });

defineConversationStreamStoreContractTests("Threadkeep", {
  create: async () => {
    const { conversationStreamStore, submissionStore } = await stores();
    return { stream: conversationStreamStore, submissionStore };
  },
});

defineAttachmentStoreContractTests("Threadkeep", { create: async () => (await stores()).attachmentStore });
