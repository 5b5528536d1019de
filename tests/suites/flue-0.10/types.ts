// What the package says of itself is true of its code, and fits to what Flue asks for.

import type { PersistenceAdapter } from "@flue/runtime/adapter";
import * as client from "../../../packages/threadkeep/src/client.js";
import * as code from "../../../packages/threadkeep/src/flue-0.10.js";
import type * as saidOfClient from "../../../packages/threadkeep/types/client.js";
import type * as said from "../../../packages/threadkeep/types/flue-0.10.js";

client satisfies typeof saidOfClient;
code satisfies typeof said;
code.threadkeep() satisfies PersistenceAdapter;
