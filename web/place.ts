import { useEffect, useState } from 'preact/hooks';

/** Where in a console somebody is; it stands in the fragment, so that it can be linked and gone back to. */
export interface Place {
  readonly page: string;
  readonly query: URLSearchParams;
}

/** @param home the page of an address that names none */
export function usePlace(home: string): Place {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const onChange = () => setHash(location.hash);
    addEventListener('hashchange', onChange);
    return () => removeEventListener('hashchange', onChange);
  }, []);
  return placeOf(hash, home);
}

export function placeOf(hash: string, home: string): Place {
  const [, page = '', query = ''] = /^#\/([a-z]*)(?:\?(.*))?$/.exec(hash) ?? [];
  return { page: page === '' ? home : page, query: new URLSearchParams(query) };
}

/** The address of a place; empty values are left out. */
export function linkTo(page: string, values: Readonly<Record<string, string | undefined>> = {}): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(values))
    if (value !== undefined && value !== '') query.set(name, value);
  const text = query.toString();
  return text === '' ? `#/${page}` : `#/${page}?${text}`;
}
