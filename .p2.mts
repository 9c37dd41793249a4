import { zeros } from './core/linalg/matrix.ts';
import { transposedMatmul } from './core/linalg/matmul.ts';
import { Random } from './core/statistics/random.ts';
import { truncatedSvd, svd } from './core/linalg/svd.ts';
const r = Random.fromSeed(1);
const rnd=(m:number,n:number)=>{const a=zeros(m,n); for(let i=0;i<a.data.length;i++)a.data[i]=r.normal(); return a;};
function core(k:number,rk:number){ const L=rnd(rk,k+rk),R=rnd(rk,k+rk); const M=transposedMatmul(L,R); for(let i=0;i<M.data.length;i++)M.data[i]!*=0.02; for(let i=0;i<k;i++)M.data[i*(k+rk)+i]!-= 3/(1+0.3*i); return M; }
const c=core(32,8);
for(const [n,f] of [['truncated',()=>truncatedSvd(c,8)],['svd',()=>svd(c)]] as const){ const ts:number[]=[]; for(let i=0;i<4000;i++){const t=performance.now(); f(); ts.push(performance.now()-t);} ts.sort((a,b)=>a-b); console.log(n, ts[300],ts[60]); }
