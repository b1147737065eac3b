/** Goal: a call reaches the object it names, and never a whole collection by accident. Method: tables. */
import { describe, expect, test } from '@jest/globals';
import { collectionPath, nameOf, objectPath, queryString } from '../../../../src/kube/cluster/resource-path.ts';
import { StoreError } from '../../../../src/kube/lease-store.ts';
import { EVENTS, LEASES, NAMESPACES, type ResourceType } from '../../../../src/kube/kube-object.ts';

describe('paths', () => {
  test.each<[ResourceType, string | undefined, string]>([
    [LEASES, 'shop', '/apis/coordination.k8s.io/v1/namespaces/shop/leases'],
    [LEASES, undefined, '/apis/coordination.k8s.io/v1/leases'],
    [EVENTS, 'shop', '/api/v1/namespaces/shop/events'],
    [NAMESPACES, undefined, '/api/v1/namespaces'],
    [NAMESPACES, 'ignored', '/api/v1/namespaces'],
  ])('of a collection', (type, namespace, path) => {
    expect(collectionPath(type, namespace)).toBe(path);
  });

  test('of an object, whatever its name holds', () => {
    expect(objectPath(LEASES, 'shop', 'a')).toBe('/apis/coordination.k8s.io/v1/namespaces/shop/leases/a');
    expect(objectPath(NAMESPACES, undefined, 'shop')).toBe('/api/v1/namespaces/shop');
    expect(objectPath(LEASES, 'shop', 'a/../b?c')).toMatch(/leases\/a%2F\.\.%2Fb%3Fc$/);
  });

  test.each<[ResourceType, string | undefined, string]>([
    [LEASES, 'shop', ''],
    [LEASES, undefined, 'a'],
    [LEASES, '', 'a'],
    [LEASES, 'shop', '..'],
    [NAMESPACES, undefined, ''],
  ])('without what names an object are refused', (type, namespace, name) => {
    expect(() => objectPath(type, namespace, name)).toThrow(StoreError);
  });

  test('queries hold what is given alone', () => {
    expect(queryString({})).toBe('');
    expect(queryString({ limit: '5', continue: undefined, labelSelector: '' })).toBe('?limit=5');
    expect(queryString({ labelSelector: 'a=b,!c' })).toBe('?labelSelector=a%3Db%2C%21c');
  });

  test('names for people', () => {
    expect(nameOf(LEASES, 'shop', 'a')).toBe('Lease shop/a');
    expect(nameOf(NAMESPACES, undefined, 'shop')).toBe('Namespace shop');
  });
});
