/** containerd's filter language: `field==value`, joined by commas (all must hold); one of several filters must match. */

/** Objects with this label. */
export function hasLabel(key: string, value: string): string {
  return `labels.${quote(key)}==${quote(value)}`;
}

/** Objects of this id, name or digest. */
export function fieldIs(field: string, value: string): string {
  return `${field}==${quote(value)}`;
}

/** All of the filters must hold. */
export function allOf(...filters: string[]): string {
  return filters.join(',');
}

function quote(text: string): string {
  return `"${text.replace(/[\\"]/g, '\\$&')}"`;
}
