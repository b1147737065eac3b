/** How Kubernetes spells names, label keys and label values, and what it says of others. */
const DNS_LABEL = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$/;
const DNS_SUBDOMAIN = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/;
const QUALIFIED_NAME = /^[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?$/;

const ENDS = 'and must start and end with an alphanumeric character';
const LABEL_RULE = `a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', ${ENDS} (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')`;
const SUBDOMAIN_RULE = `a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', ${ENDS} (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')`;
const QUALIFIED_RULE = `must consist of alphanumeric characters, '-', '_' or '.', ${ENDS} (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')`;
const LABEL_VALUE_RULE = `a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', ${ENDS} (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')`;
const NAME_LENGTH_MAX = 63;
const SUBDOMAIN_LENGTH_MAX = 253;

type LengthUnit = 'characters' | 'bytes';

/** What is wrong with the name of an object: of most kinds a DNS subdomain. */
export function subdomainProblems(name: string): readonly string[] {
  return problems(name, SUBDOMAIN_LENGTH_MAX, DNS_SUBDOMAIN, SUBDOMAIN_RULE);
}

/** What is wrong with the name of an object that must be a DNS label. */
export function labelProblems(name: string): readonly string[] {
  return problems(name, NAME_LENGTH_MAX, DNS_LABEL, LABEL_RULE);
}

/** What is wrong with `name` or `prefix/name`: a key of a label or an annotation, or a finalizer. */
export function qualifiedNameProblems(
  key: string,
  what = 'a qualified name',
  unit: LengthUnit = 'characters',
): readonly string[] {
  const parts = key.split('/');
  if (parts.length > 2)
    return [`${what} ${QUALIFIED_RULE} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`];
  const [name = '', prefix] = parts.toReversed();
  return [
    ...(prefix === undefined ? [] : part('prefix', prefix, subdomainProblems(prefix))),
    ...part('name', name, problems(name, NAME_LENGTH_MAX, QUALIFIED_NAME, QUALIFIED_RULE, unit)),
  ];
}

/** What is wrong with the key of a label. Kubernetes has words of its own for it. */
export function labelKeyProblems(key: string): readonly string[] {
  return qualifiedNameProblems(key, 'a valid label key', 'bytes');
}

export function labelValueProblems(value: string): readonly string[] {
  return value === '' ? [] : problems(value, NAME_LENGTH_MAX, QUALIFIED_NAME, LABEL_VALUE_RULE, 'bytes');
}

function problems(
  text: string,
  lengthMax: number,
  pattern: RegExp,
  rule: string,
  unit: LengthUnit = 'characters',
): readonly string[] {
  return [
    ...(text.length > lengthMax ? [`must be no more than ${lengthMax} ${unit}`] : []),
    ...(pattern.test(text) ? [] : [rule]),
  ];
}

function part(which: string, text: string, found: readonly string[]): readonly string[] {
  return text === '' ? [`${which} part must be non-empty`] : found.map((each) => `${which} part ${each}`);
}
