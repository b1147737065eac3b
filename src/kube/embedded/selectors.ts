import type { StoredObject } from '../kube-object.ts';
import type { ObjectQuery } from '../object-store.ts';
import { badRequest } from './api-error.ts';
import type { ApiResource } from './api-resource.ts';

type Labels = Readonly<Record<string, string>>;
export type FieldValues = Readonly<Record<string, string>>;

const KEY = '[A-Za-z0-9][-A-Za-z0-9_./]*';
const EQUALITY = new RegExp(`^(${KEY})\\s*(==|=|!=)\\s*([-A-Za-z0-9_.]*)$`);
const SET = new RegExp(`^(${KEY})\\s+(in|notin)\\s+\\(([^()]*)\\)$`);
const ORDER = new RegExp(`^(${KEY})\\s*([<>])\\s*(-?\\d+)$`);
const PRESENCE = new RegExp(`^(!?)\\s*(${KEY})$`);

/** Reads a label selector with equality and sets (`a=b`, `a!=b`, `a in (b,c)`, `a notin (b)`, `a`, `!a`) and order (`a>1`, `a<1`). Throws `ApiError` (400). */
export function labelSelector(text: string | undefined): (labels: Labels | undefined) => boolean {
  if (text === undefined || text.trim() === '') return () => true;
  const requirements = text.split(/,(?![^(]*\))/).map((part) => labelRequirement(part.trim()));
  return (labels = {}) => requirements.every((holds) => holds(labels));
}

function labelRequirement(text: string): (labels: Labels) => boolean {
  const valueOf = (labels: Labels, key: string) => (Object.hasOwn(labels, key) ? labels[key] : undefined);
  const equality = EQUALITY.exec(text);
  if (equality !== null) {
    const [, key = '', operator, value] = equality;
    return (labels) => (valueOf(labels, key) === value) === (operator !== '!=');
  }
  const set = SET.exec(text);
  if (set !== null) {
    const [, key = '', operator, list = ''] = set;
    const values = new Set(list.split(',').map((each) => each.trim()));
    return (labels) => {
      const value = valueOf(labels, key);
      return (value !== undefined && values.has(value)) === (operator === 'in');
    };
  }
  const order = ORDER.exec(text);
  if (order !== null) {
    const [, key = '', operator, bound] = order;
    return (labels) => {
      const value = valueOf(labels, key) ?? '';
      if (!/^-?\d+$/.test(value)) return false;
      return operator === '>' ? Number(value) > Number(bound) : Number(value) < Number(bound);
    };
  }
  const presence = PRESENCE.exec(text);
  if (presence === null)
    throw badRequest(`unable to parse requirement: "${text}"; use a=b, a!=b, a in (b,c), a notin (b,c), a or !a`);
  const [, negation, key = ''] = presence;
  return (labels) => Object.hasOwn(labels, key) === (negation === '');
}

/** Reads a field selector (`a=b`, `a==b`, `a!=b`) over the given names. Throws `ApiError` (400) for another name. */
export function fieldSelector(
  text: string | undefined,
  supported: ReadonlySet<string>,
  unknownField = (field: string) => `field label not supported: ${field}`,
): (values: FieldValues) => boolean {
  if (text === undefined || text.trim() === '') return () => true;
  const requirements = text
    .split(/(?<!\\),/)
    .filter((part) => part !== '')
    .map((part) => {
      const [, field = '', operator, value = ''] = /^(.*?)(!=|==|=)(.*)$/.exec(part) ?? [];
      if (operator === undefined) throw badRequest(`invalid selector: '${text}'; can't understand '${part}'`);
      if (!supported.has(field)) throw badRequest(unknownField(field));
      const wanted = value.replaceAll(/\\([\\,=])/g, '$1');
      return (values: FieldValues) => ((values[field] ?? '') === wanted) === (operator !== '!=');
    });
  return (values) => requirements.every((holds) => holds(values));
}

/** Whether an object of a kind is in a query. Throws `ApiError` (400) for a selector that cannot be read. */
export function matcherOf(
  { selectableFields, fieldValues }: Pick<ApiResource, 'selectableFields' | 'fieldValues'>,
  query: ObjectQuery,
): (object: StoredObject) => boolean {
  const hasLabels = labelSelector(query.labelSelector);
  const names = new Set(['metadata.name', 'metadata.namespace', ...selectableFields]);
  const hasFields = fieldSelector(
    query.fieldSelector,
    names,
    selectableFields.length > 0
      ? undefined
      : (field) => `"${field}" is not a known field selector: only "metadata.name", "metadata.namespace"`,
  );
  const isEveryField = (query.fieldSelector ?? '') === '';
  return (object) => {
    const { name, namespace = '', labels } = object.metadata;
    if (query.namespace !== undefined && namespace !== query.namespace) return false;
    if (!hasLabels(labels)) return false;
    return (
      isEveryField || hasFields({ ...fieldValues(object), 'metadata.name': name, 'metadata.namespace': namespace })
    );
  };
}
