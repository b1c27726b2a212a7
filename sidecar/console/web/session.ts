const key = 'countersign-token';

/**
 * Takes the token out of the address, where the printed link has it, and keeps it for this tab. It stood in the fragment, which
 * browsers never send, and leaves the history with it.
 */
export function takeToken(): string | undefined {
  const found = /^#token=([\w-]+)$/.exec(location.hash)?.[1];
  if (found !== undefined) {
    keepToken(found);
    history.replaceState(null, '', '/#/fleet');
  }
  return sessionStorage.getItem(key) ?? undefined;
}

export function keepToken(token: string): void {
  sessionStorage.setItem(key, token);
}

export function forgetToken(): void {
  sessionStorage.removeItem(key);
}

/** The token in a pasted link, or the text itself. */
export function tokenIn(text: string): string {
  return /#token=([\w-]+)/.exec(text)?.[1] ?? text.trim();
}
