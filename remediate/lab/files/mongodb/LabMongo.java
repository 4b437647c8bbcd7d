import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;
import java.util.List;

/** A server in memory that speaks MongoDB's protocol, on one port of the loopback. */
public class LabMongo {
    /** PyMongo talks to nothing older than this. What the server can't do of it, it refuses by name. */
    private static final MongoVersion CLAIMED = new MongoVersion() {
        @Override
        public List<Integer> getVersionArray() {
            return List.of(4, 4, 0);
        }

        @Override
        public int getWireVersion() {
            return 9;
        }
    };

    public static void main(String[] arguments) {
        MongoServer server = new MongoServer(new MemoryBackend().version(CLAIMED));
        server.bind("127.0.0.1", Integer.parseInt(arguments[0]));
    }
}
