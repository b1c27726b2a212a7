/** Shows /openapi.json. Self-contained: it loads nothing else, so it works inside the single executable and offline. */
export const openApiPage = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Countersign core service: API</title>
<meta name="viewport" content="width=device-width,initial-scale=1">
<style>
:root{color-scheme:light dark;--line:#8884;--soft:#8882}
body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem}
details{border:1px solid var(--line);border-radius:6px;margin:.5rem 0}
summary{cursor:pointer;padding:.5rem .8rem;display:flex;gap:.8rem;align-items:baseline;flex-wrap:wrap}
summary b{min-width:4.5rem;font-family:ui-monospace,monospace}
code,pre{font-family:ui-monospace,monospace;font-size:13px}
details>div{padding:.2rem .8rem .8rem;border-top:1px solid var(--line)}
pre{background:var(--soft);padding:.6rem;border-radius:4px;overflow:auto;max-height:26rem}
h2{margin-top:2rem;font-size:1.1rem}
</style></head><body><h1 id="title">API</h1><p id="about"></p><p><a href="/openapi.json">openapi.json</a></p><main id="routes">
<noscript>Read <a href="/openapi.json">/openapi.json</a>.</noscript></main>
<script>
const make=(tag,text,...children)=>{const e=document.createElement(tag);if(text)e.textContent=text;e.append(...children);return e};
const part=(name,value)=>value===undefined?[]:[make('h4',name),make('pre',JSON.stringify(value,null,2))];
fetch('/openapi.json').then(r=>r.json()).then(api=>{
  title.textContent=api.info.title+' '+api.info.version;about.textContent=api.info.description;
  const groups={};
  for(const [path,item] of Object.entries(api.paths))for(const [method,op] of Object.entries(item)){
    const body=op.requestBody&&Object.entries(op.requestBody.content).map(([type,c])=>({[type]:c.schema}));
    const answers=Object.fromEntries(Object.entries(op.responses||{}).map(([s,r])=>[s,r.content?Object.fromEntries(Object.entries(r.content).map(([t,c])=>[t,c.schema])):r.description]));
    const entry=make('details','',make('summary','',make('b',method.toUpperCase()),make('code',path),make('span',op.summary||'')),
      make('div','',make('p',op.description||''),...part('Parameters',op.parameters),...part('Body',body),...part('Answers',answers)));
    (groups[(op.tags||['other'])[0]]??=[]).push(entry);
  }
  for(const [name,entries] of Object.entries(groups))routes.append(make('h2',name),...entries);
}).catch(error=>{routes.textContent='openapi.json could not be read: '+error});
</script></body></html>
`;
