/** What tells objects of one kind apart: `namespace/name`, or `/name` for a cluster-wide kind. */
export function keyOf({
  metadata,
}: {
  readonly metadata: { readonly namespace?: string | undefined; readonly name: string };
}): string {
  return keyOfName(metadata.namespace, metadata.name);
}

export function keyOfName(namespace: string | undefined, name: string): string {
  return `${namespace ?? ''}/${name}`;
}

const VERSION = /^(?:0|[1-9]\d{0,15})$/;

/** Whether a text can be a version that a store here gave out. */
export function isVersion(text: string): boolean {
  return VERSION.test(text);
}

/** The number of a resourceVersion. Throws RangeError for a text that no store here gave out. */
export function numberOf(resourceVersion: string): number {
  if (!isVersion(resourceVersion)) throw new RangeError(`"${resourceVersion}" is no version of this store.`);
  return Number(resourceVersion);
}
