/** Colours of charts and pages. All of them are read as text too: at least 4.5 to 1 on their paper. */
import type { BenchMode } from "./rows.ts";

/** One colour scheme. */
export interface Scheme {
  paper: string;
  ink: string;
  muted: string;
  grid: string;
  past: string;
  modes: Record<BenchMode, string>;
}

export const LIGHT: Scheme = {
  paper: "#ffffff",
  ink: "#1b2027",
  muted: "#57606a",
  grid: "#e3e7ec",
  past: "#6a7280",
  modes: { read: "#7a3fc4", map: "#0b62c4", touch: "#b04a00", copy: "#047857" },
};

export const DARK: Scheme = {
  paper: "#14181e",
  ink: "#e8ecf1",
  muted: "#9aa5b1",
  grid: "#2a313a",
  past: "#94a0ad",
  modes: { read: "#c49bf5", map: "#6cb2ff", touch: "#f5a05a", copy: "#45c994" },
};
