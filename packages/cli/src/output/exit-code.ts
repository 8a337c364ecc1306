/** What every command ends with. */
export const EXIT = { done: 0, refused: 1, usage: 2 } as const;
