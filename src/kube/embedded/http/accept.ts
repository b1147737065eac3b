import { ApiError } from '../api-error.ts';

/** One media type that a client takes, in lower case, with its parameters. */
interface MediaType {
  readonly type: string;
  readonly parameters: Readonly<Record<string, string>>;
}

/** How an answer is to be shaped. */
export type Shape = 'plain' | 'table' | 'partial' | 'partialList' | 'discovery';

const GENERATED_SHAPES: readonly (readonly [Shape, Readonly<Record<string, string>>])[] = [
  ['table', { as: 'table', g: 'meta.k8s.io', v: 'v1' }],
  ['partial', { as: 'partialobjectmetadata', g: 'meta.k8s.io', v: 'v1' }],
  ['partialList', { as: 'partialobjectmetadatalist', g: 'meta.k8s.io', v: 'v1' }],
  ['discovery', { as: 'apigroupdiscoverylist', g: 'apidiscovery.k8s.io', v: 'v2' }],
];

/** The first of the shapes that the Accept header names and that is possible here. Throws `ApiError` (406). */
export function acceptedShape(accept: string | undefined, possible: readonly Shape[]): Shape {
  const wanted = (accept ?? '*/*').split(',').map(mediaTypeOf);
  for (const { type, parameters } of wanted) {
    if (type === '*/*' || type === 'application/*') return 'plain';
    if (type !== 'application/json') continue;
    if (parameters['as'] === undefined) return 'plain';
    const found = GENERATED_SHAPES.find(([, asked]) =>
      Object.entries(asked).every(([name, value]) => parameters[name] === value),
    );
    if (found !== undefined && possible.includes(found[0])) return found[0];
  }
  const message = 'only the following media types are accepted: application/json';
  throw new ApiError(406, 'NotAcceptable', message);
}

function mediaTypeOf(text: string): MediaType {
  const [type = '', ...parameters] = text
    .toLowerCase()
    .split(';')
    .map((part) => part.trim());
  return {
    type,
    parameters: Object.fromEntries(parameters.map((part) => part.split('=', 2) as [string, string])),
  };
}
