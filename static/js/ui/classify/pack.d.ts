/** Zip files by name; options hold for all of them. */
export function zipSync(files: Record<string, Uint8Array>, options: { level: 0; mtime: string }): Uint8Array<ArrayBuffer>;
