import { withOnnxProducts } from './core/engine/compiled/onnx-products.ts';
import { evolutionBetweenFolders } from './core/method/evolution/folder-evolution.ts';
import { computeEvolution } from './core/method/evolution/evolution.ts';
import { loadBaseModel } from './core/formats/hugging-face/hugging-face-model.ts';
import { overallCapturedEnergy } from './core/method/evolution/captured-energy.ts';
const [A,B]=[process.argv[2]!,process.argv[3]!]; const mode=process.argv[4]??'both'; const n=Number(process.argv[5]??3);
if(mode!=='memory') for(let i=0;i<n;i++){ const t=performance.now(); const e=await withOnnxProducts(products=>evolutionBetweenFolders(A,B,{products})); console.log('folders',(performance.now()-t).toFixed(0),'ms energy',overallCapturedEnergy(e).toFixed(4), 'peak rss', (process.resourceUsage().maxRSS/1024).toFixed(0)); }
if(mode!=='folders'){ const [o,w]=[await loadBaseModel(A),await loadBaseModel(B)]; const src=({config,fingerprint,weights}:any)=>({config,fingerprint,readWeight:(name:string)=>Promise.resolve(weights.get(name)!)});
 for(let i=0;i<n;i++){ const t=performance.now(); await withOnnxProducts(products=>computeEvolution(src(o),src(w),{products})); console.log('memory',(performance.now()-t).toFixed(0),'ms'); } }
