/**
 * A word as a person may paste it into a shell. Names come from the hub, and a shell of root is what they are pasted into.
 */
export function shellWord(text: string): string {
  return /^[\w@.+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
