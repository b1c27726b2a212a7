import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { visible } from './text.ts';

/** Nothing to show, and what that means. */
export function Empty({
  title,
  children,
}: {
  readonly title: string;
  readonly children?: ComponentChildren;
}) {
  return (
    <div class="empty">
      <p>{title}</p>
      {children !== undefined && <p class="muted">{children}</p>}
    </div>
  );
}

/** A table that may be wider than the screen; it is scrolled by keyboard, too. */
export function TableRegion({
  label,
  children,
}: {
  readonly label: string;
  readonly children: ComponentChildren;
}) {
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset is for forms
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard
    <div class="region" role="group" aria-label={label} tabIndex={0}>
      {children}
    </div>
  );
}

/** A text from the wire, which may hold anything. */
export function Wire({ text, most }: { readonly text: string; readonly most?: number }) {
  return <bdi class="wire">{visible(text, most)}</bdi>;
}

/** The first stop of the keyboard: past the navigation. */
export function SkipButton() {
  return (
    <button type="button" class="skip" onClick={() => document.getElementById('main')?.focus()}>
      Skip to the page
    </button>
  );
}

/** @param href the page to begin with */
export function Brand({ href }: { readonly href: string }) {
  return (
    <a class="brand" href={href}>
      <svg viewBox="0 0 32 32" width="24" height="24" aria-hidden="true">
        <rect width="32" height="32" rx="8" class="brand-field" />
        <path d="M9 17.5 14 22.5 23.5 10.5" class="brand-mark" />
      </svg>
      <span>Countersign</span>
    </a>
  );
}

/** Moves the focus to the new page after a change, as a browser does after loading one. */
export function Main({ title, children }: { readonly title: string; readonly children: ComponentChildren }) {
  const main = useRef<HTMLElement>(null);
  const shown = useRef(title);
  useEffect(() => {
    if (shown.current === title) return;
    shown.current = title;
    main.current?.focus({ preventScroll: true });
    scrollTo(0, 0);
  }, [title]);
  return (
    <main id="main" ref={main} tabIndex={-1} aria-label={title}>
      {children}
    </main>
  );
}
