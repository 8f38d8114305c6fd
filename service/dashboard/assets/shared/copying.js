// Copying: a text onto the reader's clipboard.

/** Copy a text; throws what to do instead where a browser does not allow it. */
export async function copy(text) {
  if (!navigator.clipboard) throw new Error("This browser allows a page to copy on https and on this machine alone; download it instead.");
  await navigator.clipboard.writeText(text);
}
