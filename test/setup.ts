// Loaded before every test file (bunfig.toml): tests speak plain text, whatever terminal runs them, and have time
// enough on a slow machine; the lab sets its own, longer times.
import { setDefaultTimeout } from "bun:test";

setDefaultTimeout(60_000);
process.env.NO_COLOR = "1";
delete process.env.VMCOPY_DEBUG;
