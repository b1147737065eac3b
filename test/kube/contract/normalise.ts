/** Takes out of an answer what must differ between two servers, and nothing else. */

/** Numbers uids and versions in the order in which a case shows them, so that "the same version as before" survives. */
export class Normaliser {
  readonly #uids = new Map<string, string>();
  readonly #versions = new Map<string, string>();
  readonly #withDescriptions: boolean;

  /** Columns have descriptions, which are compared on demand. */
  constructor(withDescriptions = false) {
    this.#withDescriptions = withDescriptions;
  }

  /** A JSON value of an answer or an event. */
  value(value: unknown): unknown {
    return this.#text(this.#normal(value, ''));
  }

  /** Output of `kubectl`: ages, widths of columns, versions. */
  output(text: string): string {
    return this.#inText(text)
      .replaceAll(/\S*\/(LIVE|MERGED)-\d+/g, '$1')
      .replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ [-+]\d{4}/g, '<time>')
      .replaceAll(/(resourceVersion"?: ")\d+"/g, '$1<version>"')
      .replaceAll(/((?:creation|deletion)Timestamp"?:\s*"?)\d{4}-[-\dT:]+Z/g, '$1<time>')
      .replaceAll(/(Resource Version: +)\d+/g, '$1<version>')
      .replaceAll(/\b(\d+[smhd]){1,2}(?= |$)/gm, '<age>')
      .replaceAll(/ {2,}/g, '  ')
      .replaceAll(/ +$/gm, '')
      .replaceAll(/(?:^\* .*\n)+/gm, (lines) => inOrder(lines.split(/(?<=\n)/)).join(''))
      .replaceAll(/(?<= is invalid: \[).*(?=\]$)/gm, (causes) => inOrder(causes.split(BETWEEN_CAUSES)).join(', '));
  }

  #normal(value: unknown, key: string): unknown {
    if (Array.isArray(value)) return value.map((item) => this.#normal(item, key));
    if (!isObject(value)) return value;
    if (key === 'metadata') return this.#metadata(value);
    if (value['kind'] === 'Table') return this.#table(value);
    const entries = Object.entries(value).map(([name, inner]) => [name, this.#normal(inner, name)] as const);
    const normal: Record<string, unknown> = Object.fromEntries(entries);
    if (key === 'details' && typeof value['uid'] === 'string') normal['uid'] = this.#uid(value['uid']);
    return value['kind'] === 'Status' ? withSortedCauses(normal) : normal;
  }

  #metadata(metadata: Json): unknown {
    const { managedFields: _managers, ...rest } = metadata;
    const normal: Record<string, unknown> = { ...rest };
    const { name, generateName, uid, resourceVersion } = metadata;
    if (typeof generateName === 'string' && typeof name === 'string' && name.startsWith(generateName))
      normal['name'] = `${generateName}<${name.length - generateName.length} random>`;
    for (const field of ['creationTimestamp', 'deletionTimestamp'])
      if (typeof metadata[field] === 'string') normal[field] = '<time>';
    if (typeof uid === 'string') normal['uid'] = this.#uid(uid);
    if (typeof metadata['continue'] === 'string' && metadata['continue'] !== '') normal['continue'] = '<token>';
    if (typeof resourceVersion === 'string' && resourceVersion !== '')
      // Lists and bookmarks have the newest version of a server, whoever made it.
      normal['resourceVersion'] = typeof uid === 'string' ? this.#version(resourceVersion) : '<newest>';
    return normal;
  }

  #table(table: Json): unknown {
    const columns = (table['columnDefinitions'] ?? []) as readonly Json[];
    const rows = (table['rows'] ?? []) as readonly Json[];
    return {
      ...table,
      metadata: this.#normal(table['metadata'], 'metadata'),
      columnDefinitions: columns.map(({ description, ...column }) =>
        this.#withDescriptions ? { ...column, description } : column,
      ),
      rows: rows.map(({ cells, object, ...row }) => ({
        ...row,
        cells: (cells as readonly unknown[]).map((cell) =>
          typeof cell === 'string' ? cell.replace(/^(\d+[smhd]){1,2}$/, '<age>') : cell,
        ),
        object: this.#normal(object, 'object'),
      })),
    };
  }

  /** Uids and versions also stand in sentences. */
  #text(value: unknown): unknown {
    if (typeof value === 'string') return this.#inText(value);
    if (Array.isArray(value)) return value.map((item) => this.#text(item));
    if (!isObject(value)) return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, this.#text(inner)]));
  }

  #inText(text: string): string {
    return text
      .replaceAll(UID, (uid) => this.#uid(uid))
      .replaceAll(/(too old resource version: )\d+ \(\d+\)/g, '$1<a version> (<the oldest>)')
      .replaceAll(/((?:resource ?version|current)[^:(]*(?:: | \())(\d+)/gi, (_all, before: string, version: string) => {
        const known = this.#versions.get(version);
        return `${before}${known ?? '<a version>'}`;
      });
  }

  #uid(uid: string): string {
    return numbered(this.#uids, uid, 'uid');
  }

  #version(version: string): string {
    return numbered(this.#versions, version, 'version');
  }
}

type Json = Readonly<Record<string, unknown>>;

/** In one line: a comma, then a field and what is wrong with it. */
const BETWEEN_CAUSES = /, (?=[\w.<>[\]]+: (?:Invalid value|Unsupported value|Required value|Too |Forbidden|Duplicate))/;

function inOrder(texts: readonly string[]): readonly string[] {
  return texts.toSorted();
}

const UID = /\b[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}\b/g;

/** The real API server lists the fields of an object in no order, so its causes have none either. */
function withSortedCauses(status: Json): Json {
  const { causes } = (status['details'] ?? {}) as { readonly causes?: readonly Json[] };
  if (causes === undefined || causes.length < 2) return status;
  const sorted = causes
    .map((cause) => [`${String(cause['field'])}: ${String(cause['message'])}`, cause] as const)
    .toSorted(([left], [right]) => (left < right ? -1 : 1));
  const message = String(status['message']).replace(/ is invalid: .*$/s, ' is invalid: <the causes>');
  return { ...status, message, details: { ...(status['details'] as Json), causes: sorted.map(([, cause]) => cause) } };
}

function numbered(known: Map<string, string>, value: string, what: string): string {
  let name = known.get(value);
  if (name === undefined) known.set(value, (name = `<${what} ${known.size + 1}>`));
  return name;
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
