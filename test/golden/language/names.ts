/** Scenarios live in one namespace, which they leave out. */
const NAMESPACE = 'default';

export function keyOf(lockId: string): string {
  return `${NAMESPACE}/${lockId}`;
}

export function lockIdOf(key: string): string {
  return key.startsWith(`${NAMESPACE}/`) ? key.slice(NAMESPACE.length + 1) : key;
}

/** An owner as people write it: `alice@pod-a`. */
export function ownerText({ principal, ownerId }: { readonly principal: string; readonly ownerId: string }): string {
  return `${ownerId}@${principal}`;
}
