/** The values of a verbose answer's info, parsed where they are JSON text. */
export function parsedInfo(info: Readonly<Record<string, string>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(info).map(([key, text]) => [key, parsedOr(text)]));
}

function parsedOr(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
