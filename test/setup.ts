// Loaded before every test file (bunfig.toml): tests speak plain text, whatever terminal runs them.
process.env.NO_COLOR = "1";
delete process.env.VMCOPY_DEBUG;
