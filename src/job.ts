/** What an engine may ask of the program around it: to show progress, to warn, and to be told to stop. */

export interface Job {
  /** A piece of work begins: what it is called, and how many bytes it has. */
  start(label: string, totalBytes: number, alreadyDone?: number): void;
  /** So many bytes of it are done. Cheap. */
  update(doneBytes: number): void;
  /** It is over, well or not. */
  end(): void;
  /** One line about what is being done. */
  inform(line: string): void;
  /** One line about something that the user should know and that does not end the work. */
  warn(line: string): void;
  /** Lets signals in; to be awaited every few MiB. @throws Interrupted where one asked to stop */
  breathe(): Promise<void>;
}
